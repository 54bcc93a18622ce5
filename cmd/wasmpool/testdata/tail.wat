(module (func $g (export "add") (param i32) (result i32) local.get 0 return_call $g))
