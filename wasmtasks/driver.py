# Calls a function of a script: each argument comes behind its length, as 4 bytes, and each result behind a byte that says
# how the call ended: 0 well, 1 with an error, 3 since the argument is wrong.
import sys

def load(name, file, source):
    space = {"__name__": file.removesuffix(".py"), "__file__": file}
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
    import io, json
    def raw(file):  # which it is itself where PYTHONUNBUFFERED is set
        return getattr(file.buffer, "raw", file.buffer)

    read, write = raw(sys.stdin).read, raw(sys.stdout).write
    own, log = (sys.stdin, sys.stdout), sys.stderr  # which would be closed if nobody had them
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
                sys.exit()
            data += part
        return data

    def give(status, data):
        data = memoryview(bytes([status]) + data)
        while data:
            data = data[write(data):]

    try:
        call, broken = load(*sys.argv[1:4]), None
    except Exception as error:
        broken = explain(error, 2).encode("utf-8", "replace")
    while True:
        if not log.closed:
            log.flush()  # of what was printed without a newline
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
