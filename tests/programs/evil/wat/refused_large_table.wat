;; A table with two million entries.
;; refused: …
(table 2000000 funcref)
(func $evil (result i32) (i32.const 0))
