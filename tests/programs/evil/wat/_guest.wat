;; The frame of all hostile modules: it fulfils the contract of the Python guest and imports everything that a module may. A guest
;; is a function `$evil`, which returns the answer, with everything it needs. The call `innocent` returns 7.
(module
  (import "bue" "host" (func $host (param i32 i32 i32 i32) (result i64)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "proc_raise" (func $proc_raise (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $sock_shutdown (param i32 i32) (result i32)))

  ;; Pages 0 and 1 are the contract's; from 131072 on (two pages) a guest may do what it likes.
  (memory (export "memory") 4)
  ;; LoadReply::Loaded
  (data (i32.const 16) "\00")
  ;; Answer::Completed { value: 5 bytes of CBOR, an unsigned number, streamed: false, hints: none }
  (data (i32.const 32) "\00\05\1a\00\00\00\00\00\00\00\00")

  (func (export "bue_alloc") (param i32) (result i32) (i32.const 4096))
  (func (export "bue_load") (param i32 i32) (result i64) (i64.const 0x1000000001))
  (func (export "bue_call") (param $request i32) (param i32) (result i64)
    ;; the function's name follows its length
    (if (i32.eq (i32.load8_u offset=1 (local.get $request)) (i32.const 105)) ;; "i"
      (then (call $answer (i32.const 7)))
      (else (call $answer (call $evil))))
    (i64.const 0x200000000b))
  (func $answer (param $number i32)
    (i32.store8 (i32.const 35) (i32.shr_u (local.get $number) (i32.const 24)))
    (i32.store8 (i32.const 36) (i32.shr_u (local.get $number) (i32.const 16)))
    (i32.store8 (i32.const 37) (i32.shr_u (local.get $number) (i32.const 8)))
    (i32.store8 (i32.const 38) (local.get $number)))

  ;; GUEST
)
