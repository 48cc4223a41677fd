;; Writes a million buffers in one call, more than the host reads. 48 is "no memory".
;; gives: 48
(func $evil (result i32)
  (drop (memory.grow (i32.const 160)))
  (call $fd_write (i32.const 1) (i32.const 262144) (i32.const 1200000) (i32.const 131200)))
