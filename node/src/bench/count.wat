;; Counts the lines of its standard input: the small program that `rings bench` runs.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  ;; 0: iovec (address, length); 8: bytes read or written; 16..48: digits; 4096: input.
  (func (export "_start")
    (local $lines i64) (local $end i32) (local $at i32)
    (block $done
      (loop $more
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.const 65536))
        (br_if $done (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $done (i32.eqz (i32.load (i32.const 8))))
        (local.set $at (i32.const 4096))
        (local.set $end (i32.add (i32.const 4096) (i32.load (i32.const 8))))
        (loop $byte
          (local.set $lines (i64.add (local.get $lines)
            (i64.extend_i32_u (i32.eq (i32.load8_u (local.get $at)) (i32.const 10)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $byte (i32.lt_u (local.get $at) (local.get $end))))
        (br $more)))
    (local.set $at (i32.const 47))
    (i32.store8 (i32.const 47) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $lines) (i64.const 10)))))
      (local.set $lines (i64.div_u (local.get $lines) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $lines) (i64.const 0))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 48) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
