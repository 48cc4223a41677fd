;; Opens a file relative to valid and invalid descriptors; counts those that worked.
;; gives: 0
(data (i32.const 131072) "/etc/passwd")
(func $evil (result i32)
  (local $fd i32) (local $opened i32)
  (local.set $fd (i32.const -8))
  (loop $next
    (if (i32.eqz (call $path_open (local.get $fd) (i32.const 1) (i32.const 131072) (i32.const 11) (i32.const 0)
          (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 131200)))
      (then (local.set $opened (i32.add (local.get $opened) (i32.const 1)))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br_if $next (i32.lt_s (local.get $fd) (i32.const 64))))
  (local.get $opened))
