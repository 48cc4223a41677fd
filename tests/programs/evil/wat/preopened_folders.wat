;; Searches for preopened folders: 8 is "no such descriptor".
;; gives: 8
(func $evil (result i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (i32.const 3))
  (loop $next
    (local.set $errno (call $fd_prestat_get (local.get $fd) (i32.const 131072)))
    (if (i32.ne (local.get $errno) (i32.const 8)) (then (return (local.get $fd))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $fd) (i32.const 10000))))
  (local.get $errno))
