;; Allocates memory page by page until it fails, and continues with what it has.
;; gives: 4096
(func $evil (result i32)
  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
  (memory.size))
