;; A request of four gigabytes.
;; fails: limit: The step handed over 3.9 GiB at once, more than its limit of 65 MiB (`result_bytes`, `net_buffered_bytes`); hand it over in pieces, or run it on a worker with higher limits
(func $evil (result i32)
  (i32.wrap_i64 (call $host (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))))
