// Calls a function of a script: each argument comes behind its length, as 4 bytes, and each result behind a byte that says
// how the call ended: 0 well, 1 with an error, 3 since the argument is wrong.
async function (name, file, source) {
  const {in: input, out: output, err: log, exit} = std;
  const {String, Number, Error, SyntaxError, TypeError, RangeError, ArrayBuffer, Uint8Array} = globalThis; // the script may have others
  const {parse, stringify} = JSON, {isFinite} = globalThis;
  const exported = /^[ \t]*export\s+(?:default\s+)?(?=(?:async\s+)?function\b|class\b|const\b|let\b|var\b)|^[ \t]*export\s*\{[^}]*\}/gm;

  const odd = /[\ud800-\udfff\ufffd]/;

  function say(...words) {
    const shown = words.map(w => {
      if (typeof w !== "object" || w === null) return String(w);
      try { return w instanceof Error ? `${w}` : stringify(w) ?? String(w); } catch { return "[object]"; }
    });
    log.puts(shown.join(" ") + "\n");
    log.flush();
  }

  globalThis.print = say;
  for (const level of ["log", "debug", "info", "warn", "error"]) console[level] = say;
  const none = {getByte: () => -1, getline: () => null, readAsString: () => "", read: () => 0, eof: () => true};
  const to = write => (...words) => { log[write](...words); log.flush(); };
  globalThis.std = {...std, in: none, out: log, puts: to("puts"), printf: to("printf")}; // what comes in is the next call's, and what goes out a result

  function run(code) {
    return (0, eval)(`${code}\n;typeof ${name} === "function" ? ${name} : undefined`);
  }

  function load() {
    const before = new Set(Object.keys(globalThis));
    globalThis.module = {exports: {}};
    globalThis.exports = module.exports;
    let call;
    try {
      call = run(source);
    } catch (error) { // a module's exports are no code of a script
      if (!(error instanceof SyntaxError) || source.search(exported) < 0) throw error;
      call = run(source.replace(exported, found => found.replace(/[^\n]/g, " ")));
    }
    call ??= module.exports?.[name];
    if (typeof call === "function") return call;
    const names = [...Object.keys(globalThis).filter(n => !before.has(n) && typeof globalThis[n] === "function"), ...Object.keys(module.exports ?? {})];
    throw new ReferenceError(`${file} has no function ${name}, it has: ${names.sort().join(", ") || "none"}`);
  }

  function explain(error) {
    try {
      return describe(error);
    } catch {
      return "it threw what cannot be shown";
    }
  }

  function describe(error) {
    if (!(error instanceof Error)) return `it threw ${typeof error === "object" ? stringify(error) : String(error)}`;
    const where = String(error.stack ?? "").split("\n").filter(line => line.includes("<input>")).map(line => line.replace("<input>", file));
    const hint = /^[ \t]*import\b/m.test(source) && error instanceof SyntaxError ? " (a script stands alone, and cannot import others)" : "";
    return [String(error) + hint, ...where].join("\n");
  }

  function refuse(_, value) {
    if ((typeof value === "number" || value instanceof Number) && !isFinite(value)) throw new RangeError(`the result has a ${value}, which JSON has not`);
    return value;
  }

  function encode(result) {
    if (result instanceof ArrayBuffer) return new Uint8Array(result);
    if (ArrayBuffer.isView(result)) return new Uint8Array(result.buffer, result.byteOffset, result.byteLength);
    const text = stringify(result === undefined ? null : result);
    if (text === undefined) throw new TypeError(`the result is a ${typeof result}, which JSON has not`);
    if (text.includes("null")) stringify(result, refuse);
    return text;
  }

  function give(status, data) {
    output.putByte(status);
    if (typeof data === "string") output.puts(data);
    else output.write(data.buffer, data.byteOffset, data.byteLength);
    output.flush();
  }

  function byte() {
    const got = input.getByte();
    if (got < 0) exit(0);
    return got;
  }

  function take() {
    const length = byte() + byte() * 0x100 + byte() * 0x10000 + byte() * 0x1000000;
    return {length, data: length > 0 ? input.readAsString(length) : ""};
  }

  // decode returns the value of an argument. Bytes that are not UTF-8 have become U+FFFD, of another length as a rule, or surrogates.
  function decode(data, length) {
    if (length === data.length ? data.includes("\ufffd") : odd.test(data)) { // in the first case there are no other bytes than ASCII's
      for (const c of data) {
        if (c.length === 1 && c >= "\ud800" && c <= "\udfff") length = -1;
        length -= c < "\x80" ? 1 : c < "\u0800" ? 2 : c.length === 1 ? 3 : 4;
      }
      if (length !== 0) throw new SyntaxError("it is not UTF-8");
    }
    return parse(data);
  }

  let call, broken;
  try {
    call = load();
  } catch (error) {
    broken = explain(error);
  }
  for (;;) {
    const {length, data} = take();
    if (broken !== undefined) {
      give(1, broken);
      continue;
    }
    let argument;
    try {
      argument = decode(data, length);
    } catch (error) {
      give(3, `the argument is not JSON: ${error.message}`);
      continue;
    }
    let result;
    try {
      result = call(argument);
      if (typeof result?.then === "function") result = await result;
      result = encode(result);
    } catch (error) {
      give(1, explain(error));
      continue;
    }
    give(0, result);
  }
}
