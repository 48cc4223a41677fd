;; Reads the clocks of process and thread, and unknown ones; counts those that exist.
;; gives: 0
(func $evil (result i32)
  (local $clock i32) (local $worked i32)
  (local.set $clock (i32.const 2))
  (loop $next
    (local.set $worked (i32.add (local.get $worked)
      (i32.eqz (call $clock_time_get (local.get $clock) (i64.const 0) (i32.const 131072)))))
    (local.set $clock (i32.add (local.get $clock) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $clock) (i32.const 4))))
  (local.get $worked))
