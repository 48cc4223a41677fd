;; Polls a list of 2,000 entries: a step has 128 handles.
;; fails: limit: …
(func $evil (result i32)
  (drop (memory.grow (i32.const 8)))
  (call $poll_oneoff (i32.const 196608) (i32.const 393216) (i32.const 2000) (i32.const 131300)))
