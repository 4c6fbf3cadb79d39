"""Tornado's own kind of application, with a path that others have too."""

from tornado.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self):
        self.write("hello")


app = Application([("/hello", Hello)])
