  ;; A command around the library of QuickJS: what is behind -e, which must be the last argument, runs with so much
  ;; of the module std of QuickJS's own command as wasmtasks' driver uses.
  (func $env.host_get_timezone_offset (param i32 i32) (result i32) (i32.const 0))
  (func $env.host_interrupt (result i32) (i32.const 0))
  (func $env.host_promise_rejection (param i32 i32 i32))
  (func $env.host_module_normalize (param i32 i32) (result i32) (i32.const 0))
  (func $env.host_module_load (param i32 i32) (result i32) (i32.const 0))

  ;; $vector is a place for an address and a length, $done one for a length.
  (global $vector (mut i32) (i32.const 0))
  (global $done (mut i32) (i32.const 0))

  ;; $read reads into memory until it is full or the input ends, and returns how much it has read.
  (func $read (param $at i32) (param $n i32) (result i32) (local $all i32)
    (loop $again
      (i32.store (global.get $vector) (local.get $at))
      (i32.store offset=4 (global.get $vector) (local.get $n))
      (if (i32.or (i32.eqz (local.get $n)) (call $wasi_fd_read (i32.const 0) (global.get $vector) (i32.const 1) (global.get $done)))
        (then (return (local.get $all))))
      (local.set $at (i32.add (local.get $at) (i32.load (global.get $done))))
      (local.set $n (i32.sub (local.get $n) (i32.load (global.get $done))))
      (local.set $all (i32.add (local.get $all) (i32.load (global.get $done))))
      (br_if $again (i32.load (global.get $done))))
    (local.get $all))

  (func $write (param $fd i32) (param $at i32) (param $n i32)
    (loop $again
      (i32.store (global.get $vector) (local.get $at))
      (i32.store offset=4 (global.get $vector) (local.get $n))
      (if (i32.or (i32.eqz (local.get $n)) (call $wasi_snapshot_preview1.fd_write (local.get $fd) (global.get $vector) (i32.const 1) (global.get $done)))
        (then (return)))
      (local.set $at (i32.add (local.get $at) (i32.load (global.get $done))))
      (local.set $n (i32.sub (local.get $n) (i32.load (global.get $done))))
      (br $again)))

  (func $number (param $argv i32) (result i32) (i32.trunc_sat_f64_s (call $qjs_get_float64 (i32.load (local.get $argv)))))

  ;; $env.host_call is what the functions do that $_start makes: getByte(), read(n), write(fd, text or buffer), exit(code).
  (func $env.host_call (param $name i32) (param i32 i32 i32) (param $argv i32) (result i32)
    (local $at i32) (local $n i32)
    (local.set $name (i32.load8_u (local.get $name)))
    (if (i32.eq (local.get $name) (i32.const 101)) (then (call $wasi_proc_exit (call $number (local.get $argv)))))
    (if (i32.eq (local.get $name) (i32.const 103))
      (then
        (i32.store8 offset=8 (global.get $vector) (i32.const 0))
        (local.set $n (call $read (i32.add (global.get $vector) (i32.const 8)) (i32.const 1)))
        (return (call $qjs_new_number (select (f64.convert_i32_u (i32.load8_u offset=8 (global.get $vector))) (f64.const -1) (local.get $n))))))
    (if (i32.eq (local.get $name) (i32.const 114))
      (then
        (local.set $at (call $malloc (local.tee $n (call $number (local.get $argv)))))
        (local.set $name (call $qjs_new_string (local.get $at) (call $read (local.get $at) (local.get $n))))
        (call $free (local.get $at))
        (return (local.get $name))))
    (if (call $qjs_is_string (i32.load offset=4 (local.get $argv)))
      (then
        (local.set $at (call $qjs_get_string_len (i32.load offset=4 (local.get $argv)) (global.get $done)))
        (call $write (call $number (local.get $argv)) (local.get $at) (i32.load (global.get $done)))
        (call $qjs_free_cstring (local.get $at)))
      (else
        (local.set $at (call $qjs_get_array_buffer (i32.load offset=4 (local.get $argv)) (global.get $done)))
        (call $write (call $number (local.get $argv)) (local.get $at) (i32.load (global.get $done)))))
    (call $qjs_get_undefined))

  (data $texts "getByte\00read\00write\00exit\00<cmdline>\00<std>\00")
  (data $std
    "const file = (fd, write) => { let text = ''; return {"
    "  putByte: b => { text += String.fromCharCode(b) }, puts: s => { text += s }, printf: s => { text += s },"
    "  flush() { write(fd, text); text = '' },"
    "  write(buffer, at, n) { this.flush(); write(fd, buffer.slice(at, at + n)) }}};"
    "const out = file(1, write);"
    "globalThis.std = {in: {getByte, readAsString: read}, out, err: file(2, write), exit, puts: out.puts, printf: out.printf};"
    "globalThis.console = {}")

  (func $run (param $code i32) (param $n i32) (param $file i32) (local $error i32)
    (if (call $qjs_is_exception (call $qjs_eval (local.get $code) (local.get $n) (local.get $file) (i32.const 0)))
      (then
        (local.set $error (call $qjs_get_string_len (call $qjs_get_exception) (global.get $done)))
        (call $write (i32.const 2) (local.get $error) (i32.load (global.get $done)))
        (call $wasi_proc_exit (i32.const 1)))))

  (func $function (param $name i32)
    (drop (call $qjs_set_prop_string (call $qjs_get_global) (local.get $name)
      (call $qjs_new_host_function (local.get $name) (call $strlen (local.get $name)) (i32.const 0)))))

  (func $_start (local $texts i32) (local $args i32) (local $n i32)
    (call $_initialize)
    (global.set $vector (call $malloc (i32.const 16)))
    (global.set $done (i32.add (global.get $vector) (i32.const 12)))
    (local.set $texts (call $malloc (i32.const 1024)))
    (memory.init $texts (local.get $texts) (i32.const 0) (i32.const 40))
    (drop (call $qjs_init))
    (call $function (local.get $texts))
    (call $function (i32.add (local.get $texts) (i32.const 8)))
    (call $function (i32.add (local.get $texts) (i32.const 13)))
    (call $function (i32.add (local.get $texts) (i32.const 19)))
    (memory.init $std (i32.add (local.get $texts) (i32.const 64)) (i32.const 0) (i32.const 449))
    (i32.store8 (i32.add (local.get $texts) (i32.const 513)) (i32.const 0))
    (call $run (i32.add (local.get $texts) (i32.const 64)) (i32.const 449) (i32.add (local.get $texts) (i32.const 34)))
    (drop (call $wasi_args_sizes_get (global.get $vector) (global.get $done)))
    (local.set $n (i32.load (global.get $vector)))
    (local.set $args (call $malloc (i32.add (i32.load (global.get $done)) (i32.mul (local.get $n) (i32.const 4)))))
    (drop (call $wasi_args_get (local.get $args) (i32.add (local.get $args) (i32.mul (local.get $n) (i32.const 4)))))
    (local.set $n (i32.load (i32.add (local.get $args) (i32.mul (i32.sub (local.get $n) (i32.const 1)) (i32.const 4)))))
    (call $run (local.get $n) (call $strlen (local.get $n)) (i32.add (local.get $texts) (i32.const 24)))
    (loop $jobs (br_if $jobs (i32.gt_s (call $qjs_execute_pending_job) (i32.const 0)))))
  (export "_start" (func $_start))
