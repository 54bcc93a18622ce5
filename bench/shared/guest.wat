;; The guest of bench/shared. Its argument is a place, 8 bytes; its results are the 4 KiB there.
;;
;; After a change: wat2wasm guest.wat -o guest.wasm
(module
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (import "wasmpool" "shared_read" (func $shared_read (param i32 i32 i32 i64 i32) (result i32)))

  ;; Memory: the argument at 1024, the input's name at 1040, what was read at 4096, and from
  ;; 65536 on the data that bench/shared compiles in, of at most 240 MiB.
  (memory (export "memory") 3841)
  (data (i32.const 1040) "in")

  (func $place (result i64)
    (drop (call $input_read (i32.const 1024) (i32.const 0) (i32.const 8)))
    (i64.load (i32.const 1024)))

  ;; shared reads the shared input "in".
  (func (export "shared") (result i32)
    (if (i32.ne (call $shared_read (i32.const 1040) (i32.const 2) (i32.const 4096) (call $place) (i32.const 4096)) (i32.const 4096))
      (then (unreachable)))
    (call $output_write (i32.const 4096) (i32.const 4096))
    (i32.const 0))

  ;; compiled has the data in its memory.
  (func (export "compiled") (result i32)
    (call $output_write (i32.add (i32.const 65536) (i32.wrap_i64 (call $place))) (i32.const 4096))
    (i32.const 0)))
