;; Declares more initial memory than a step may have.
;; refused: …
;; replace: (memory (export "memory") 4) -> (memory (export "memory") 60000)
(func $evil (result i32) (i32.const 0))
