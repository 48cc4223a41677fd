;; Prints 64 KiB again and again.
;; with: output_bytes=4194304 log_bytes=65536
;; fails: limit: The step printed more than its output limit of 4 MiB; print less, or write the data to the result
;; log: …more bytes were printed; a step's log keeps 64 KiB…
(data (i32.const 131072) "\00\00\03\00\00\00\01\00")
(func $evil (result i32)
  (memory.fill (i32.const 196608) (i32.const 120) (i32.const 65536))
  (loop $again
    (br_if $again (i32.eqz (call $fd_write (i32.const 2) (i32.const 131072) (i32.const 1) (i32.const 131200)))))
  (i32.const 0))
