;; Closes its streams, replaces one by another, and prints anyway.
;; gives: 8
(data (i32.const 131072) "\00\02\02\00\04\00\00\00")
(func $evil (result i32)
  (drop (call $fd_renumber (i32.const 2) (i32.const 1)))
  (drop (call $fd_close (i32.const 0)))
  (drop (call $fd_close (i32.const 1)))
  (drop (call $fd_close (i32.const 1)))
  (drop (call $fd_close (i32.const 2)))
  (call $fd_write (i32.const 1) (i32.const 131072) (i32.const 1) (i32.const 131200)))
