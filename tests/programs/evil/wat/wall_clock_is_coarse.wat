;; Reads a clock 10,000 times; adds up the parts below a millisecond and the clock's resolution in milliseconds.
;; gives: 1
(func $evil (result i32)
  (local $count i32) (local $below i64)
  (loop $next
    (if (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 131072)) (then (return (i32.const 1001))))
    (local.set $below (i64.add (local.get $below)
      (i64.rem_u (i64.load (i32.const 131072)) (i64.const 1000000))))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $count) (i32.const 10000))))
  (if (i64.ne (local.get $below) (i64.const 0)) (then (return (i32.const 1002))))
  (if (call $clock_res_get (i32.const 0) (i32.const 131072)) (then (return (i32.const 1003))))
  (i32.wrap_i64 (i64.div_u (i64.load (i32.const 131072)) (i64.const 1000000))))
