;; Uses its descriptors as sockets; counts those that are sockets.
;; gives: 0
(func $evil (result i32)
  (local $fd i32) (local $worked i32)
  (loop $next
    (local.set $worked (i32.add (local.get $worked)
      (i32.eqz (call $sock_accept (local.get $fd) (i32.const 0) (i32.const 131072)))))
    (local.set $worked (i32.add (local.get $worked)
      (i32.eqz (call $sock_recv (local.get $fd) (i32.const 131072) (i32.const 1) (i32.const 0) (i32.const 131200) (i32.const 131204)))))
    (local.set $worked (i32.add (local.get $worked)
      (i32.eqz (call $sock_send (local.get $fd) (i32.const 131072) (i32.const 1) (i32.const 0) (i32.const 131200)))))
    (local.set $worked (i32.add (local.get $worked) (i32.eqz (call $sock_shutdown (local.get $fd) (i32.const 3)))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $fd) (i32.const 32))))
  (local.get $worked))
