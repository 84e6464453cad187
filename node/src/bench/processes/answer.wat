;; A task that says {"status":"done"} with one number, whatever it is asked: the program of `rings bench processes`.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; 0: iovec (address, length); 8: bytes written; 16: the answer.
  (data (i32.const 16) "{\"outputs\":{\"n\":1},\"status\":\"done\"}\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 36))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
