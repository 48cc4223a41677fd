;; Prints nine megabytes in one call: the host copies at most eight. 48 is "no memory".
;; gives: 48
(data (i32.const 131072) "\00\00\04\00\00\00\90\00")
(func $evil (result i32)
  (drop (memory.grow (i32.const 160)))
  (call $fd_write (i32.const 1) (i32.const 131072) (i32.const 1) (i32.const 131200)))
