;; The guest that wasmpool bench calls. It is written by hand so that a call
;; costs next to nothing in the guest. bench/tasks has the same tasks in Go.
;;
;; After a change: wat2wasm guest.wat -o guest.wasm
(module
  (import "wasmpool" "input_len" (func $input_len (result i32)))
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))

  ;; Memory: the door at 1024, its argument at 1040, up to 16 KiB of it, and
  ;; from 65536 on longer arguments and results.
  (memory (export "memory") 2)
  (global $len (mut i32) (i32.const 0)) ;; of the argument

  (func (export "_initialize")
    (call $door_open (i32.const 1024) (i32.const 16400)))

  ;; argument returns where the argument is, and sets $len.
  (func $argument (result i32)
    (global.set $len (i32.load (i32.const 1024)))
    (if (i32.ne (global.get $len) (i32.const -1))
      (then (return (i32.const 1040))))
    (global.set $len (call $input_len))
    (call $grow (global.get $len))
    (drop (call $input_read (i32.const 65536) (i32.const 0) (global.get $len)))
    (i32.const 65536))

  ;; grow makes room for so many bytes at 65536.
  (func $grow (param $bytes i32)
    (local $missing i32) ;; pages
    (local.set $missing (i32.sub
      (i32.wrap_i64 (i64.shr_u
        (i64.add (i64.extend_i32_u (local.get $bytes)) (i64.const 131071))
        (i64.const 16)))
      (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
        (then (unreachable))))))

  (func $result (param $at i32) (param $len i32)
    (i32.store (i32.const 1028) (local.get $at))
    (i32.store (i32.const 1032) (local.get $len)))

  ;; echo returns its argument.
  (func (export "echo") (result i32)
    (call $result (call $argument) (global.get $len))
    (i32.const 0))

  ;; burn computes for as many steps as its argument says, a 64-bit number.
  (func (export "burn") (result i32)
    (local $left i64) (local $x i64)
    (local.set $left (i64.load (call $argument)))
    (block $done
      (loop $step
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (local.set $x (i64.add
          (i64.mul (local.get $x) (i64.const 6364136223846793005))
          (i64.const 1442695040888963407)))
        (br $step)))
    (i64.store (i32.const 64) (local.get $x))
    (call $result (i32.const 64) (i32.const 8))
    (i32.const 0))

  ;; julia draws a row of a Julia set, a byte a point. Its argument is four
  ;; 32-bit numbers: row, width, height, iterations.
  (func (export "julia") (result i32)
    (local $at i32) (local $width i32) (local $x i32)
    (local $step f64) (local $im f64)
    (local.set $at (call $argument))
    (local.set $width (i32.load offset=4 (local.get $at)))
    (call $grow (local.get $width))
    (local.set $step (f64.div (f64.const 3.2) (f64.convert_i32_u (local.get $width))))
    (local.set $im (f64.mul (local.get $step)
      (f64.sub (f64.convert_i32_u (i32.load (local.get $at)))
               (f64.div (f64.convert_i32_u (i32.load offset=8 (local.get $at))) (f64.const 2)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $x) (local.get $width)))
        (i32.store8 (i32.add (i32.const 65536) (local.get $x))
          (call $escape
            (f64.mul (local.get $step)
              (f64.sub (f64.convert_i32_u (local.get $x))
                       (f64.div (f64.convert_i32_u (local.get $width)) (f64.const 2))))
            (local.get $im)
            (i32.load offset=12 (local.get $at))))
        (local.set $x (i32.add (local.get $x) (i32.const 1)))
        (br $next)))
    (call $result (i32.const 65536) (local.get $width))
    (i32.const 0))

  ;; escape returns after how many iterations of z² - 0.8 + 0.156i the point
  ;; leaves, at most $most.
  (func $escape (param $re f64) (param $im f64) (param $most i32) (result i32)
    (local $n i32) (local $rr f64) (local $ii f64)
    (loop $again
      (local.set $rr (f64.mul (local.get $re) (local.get $re)))
      (local.set $ii (f64.mul (local.get $im) (local.get $im)))
      (if (i32.and
            (i32.lt_u (local.get $n) (local.get $most))
            (f64.le (f64.add (local.get $rr) (local.get $ii)) (f64.const 4)))
        (then
          (local.set $im (f64.add
            (f64.mul (f64.mul (f64.const 2) (local.get $re)) (local.get $im))
            (f64.const 0.156)))
          (local.set $re (f64.sub (f64.sub (local.get $rr) (local.get $ii)) (f64.const 0.8)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $again))))
    (local.get $n)))
