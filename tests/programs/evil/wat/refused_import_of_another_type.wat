;; An import with a known name and the wrong type.
;; refused: …incompatible import type for `bue::host`…
;; replace: (func $host (param i32 i32 i32 i32) (result i64)) -> (func $host (param i64) (result i64))
(func $evil (result i32) (i32.const 0))
