"""`python -m monoceros`: the same as the command monoceros."""

from monoceros.app.wsgiapp import run

if __name__ == "__main__":
    run(prog="monoceros")
