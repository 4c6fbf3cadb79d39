"""NiceGUI mounted in FastAPI."""

from fastapi import FastAPI
from nicegui import ui

app = FastAPI()


@ui.page("/")
def page():
    ui.label("nice")


ui.run_with(app, storage_secret="secret")
