"""A function of functions-framework."""


def hello(request):
    return "function"
