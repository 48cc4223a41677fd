;; Prints all 256 bytes to both streams. Control characters are not in the log.
;; gives: 0
;; log: …Z 	…
;; log: … !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~…
(data (i32.const 131072) "\00\00\03\00\00\01\00\00")
(func $evil (result i32)
  (local $byte i32)
  (loop $next
    (i32.store8 offset=196608 (local.get $byte) (local.get $byte))
    (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $byte) (i32.const 256))))
  (if (call $fd_write (i32.const 1) (i32.const 131072) (i32.const 1) (i32.const 131200)) (then (return (i32.const 1))))
  (call $fd_write (i32.const 2) (i32.const 131072) (i32.const 1) (i32.const 131200)))
