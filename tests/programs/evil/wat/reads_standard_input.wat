;; Reads from standard input, which is empty.
;; gives: 0
(data (i32.const 131072) "\00\02\02\00\00\10\00\00") ;; one buffer of 4096 bytes
(func $evil (result i32)
  (if (call $fd_read (i32.const 0) (i32.const 131072) (i32.const 1) (i32.const 131200)) (then (return (i32.const 1))))
  (i32.load (i32.const 131200)))
