;; A buffer outside its memory.
;; fails: trap: …
(data (i32.const 131072) "\f0\ff\ff\ff\40\00\00\00")
(func $evil (result i32) (call $fd_write (i32.const 1) (i32.const 131072) (i32.const 1) (i32.const 131200)))
