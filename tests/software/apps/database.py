"""SQLAlchemy with a pool over PostgreSQL."""

import os

from flask import Flask
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["DATABASE_URL"], pool_size=4)
app = Flask(__name__)


@app.route("/")
def index():
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS visits (at timestamptz)"))
        connection.execute(text("INSERT INTO visits VALUES (now())"))
        count = connection.execute(text("SELECT count(*) FROM visits")).scalar()
    return f"rows {count}"
