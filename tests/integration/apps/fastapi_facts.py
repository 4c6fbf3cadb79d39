"""FastAPI's view of the client."""

from fastapi import FastAPI, Request

app = FastAPI()


@app.get("/")
async def index(request: Request):
    assert request.client is not None
    return {"client": [request.client.host, request.client.port], "scheme": request.url.scheme}
