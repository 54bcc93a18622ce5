# Calls a function of a script: each argument comes behind its length, as 4 bytes, and each result behind a byte that says
# how the call ended: 0 well, 1 with an error, 3 since the argument is wrong.
import sys

def load(name, file, source):
    module = type(sys)(file.removesuffix(".py"))
    module.__file__, space = file, module.__dict__
    sys.modules.setdefault(module.__name__, module)  # where dataclasses and pickle look for it
    exec(compile(source, file, "exec"), space)
    call = space.get(name)
    if not callable(call):
        names = sorted(n for n, v in space.items() if callable(v) and not n.startswith("_") and getattr(v, "__module__", None) == space["__name__"])
        raise NameError(f"{file} has no function {name}, it has: {', '.join(names) or 'none'}")
    return call

def explain(error, hide):
    try:
        return describe(error, hide)
    except Exception:
        return f"it raised a {type(error).__name__}, which cannot be shown"

def describe(error, hide):
    import traceback
    trace = error.__traceback__
    for _ in range(hide):
        trace = trace and trace.tb_next
    last = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = "".join(traceback.format_tb(trace)).rstrip()
    return f"{last}\n{where}" if where else last

def main():
    import io, json, os
    def raw(file):  # which it is itself where PYTHONUNBUFFERED is set
        return getattr(file.buffer, "raw", file.buffer)

    read, write = raw(sys.stdin).read, raw(sys.stdout).write
    own, log, leave = (sys.stdin, sys.stdout), sys.stderr, os._exit  # the first two would be closed if nobody had them
    sys.stdin = sys.__stdin__ = io.StringIO()  # what comes is the next call's
    sys.stdout = sys.__stdout__ = log

    def refuse(word):
        raise ValueError(f"{word} is no number of JSON")

    decode = json.JSONDecoder(parse_constant=refuse).decode
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

    def take(n):
        data = b""
        while len(data) < n:
            part = read(n - len(data))
            if not part:
                leave(0)  # at once, and not by what a script has for its end: it may go on instead, with the next call
            data += part
        return data

    def flush():  # what was printed without a newline, or into a buffer of the script's
        for file in (log,) if sys.stdout is sys.stderr is log else (log, sys.stdout, sys.stderr):
            try:
                file.flush()
            except Exception:  # it is closed, or has no such function
                pass

    def give(status, data):
        data = memoryview(bytes([status]) + data)
        while data:
            data = data[write(data):]

    try:
        call, broken = load(*sys.argv[1:4]), None
    except SystemExit:
        raise
    except BaseException as error:
        broken = explain(error, 2).encode("utf-8", "replace")
    while True:
        flush()
        data = take(int.from_bytes(take(4), "little"))
        if broken:
            give(1, broken)
            continue
        try:
            argument = decode(data.decode())
        except (ValueError, RecursionError) as error:  # the latter where lists lie deep in each other
            give(3, f"the argument is not JSON: {error}".encode())
            continue
        try:
            result = call(argument)
            if not isinstance(result, (bytes, bytearray)):
                result = encode(result).encode()
        except SystemExit:
            raise
        except BaseException as error:
            give(1, explain(error, 1).encode("utf-8", "replace"))
            continue
        give(0, result)

main()
