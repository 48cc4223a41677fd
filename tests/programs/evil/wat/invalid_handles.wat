;; Closes, renumbers and writes to descriptors that it never opened; counts those that exist.
;; gives: 0
(data (i32.const 131072) "\00\02\02\00\04\00\00\00")
(func $evil (result i32)
  (local $fd i32) (local $worked i32)
  (local.set $fd (i32.const -1000))
  (loop $next
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then
      (local.set $worked (i32.add (local.get $worked) (i32.eqz (call $fd_close (local.get $fd)))))
      (local.set $worked (i32.add (local.get $worked) (i32.eqz (call $fd_renumber (local.get $fd) (i32.const 1)))))
      (local.set $worked (i32.add (local.get $worked)
        (i32.eqz (call $fd_write (local.get $fd) (i32.const 131072) (i32.const 1) (i32.const 131200)))))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br_if $next (i32.lt_s (local.get $fd) (i32.const 1000))))
  (local.get $worked))
