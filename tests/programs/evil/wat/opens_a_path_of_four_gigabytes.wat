;; A path that is longer than its memory.
;; gives: 0
(func $evil (result i32)
  (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)
    (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 0))))
