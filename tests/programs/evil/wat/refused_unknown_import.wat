;; An unknown import.
;; refused: …unknown import: `wasi_snapshot_preview1::path_symlink_anywhere`…
;; replace: (import "bue" "host" -> (import "wasi_snapshot_preview1" "path_symlink_anywhere" (func)) (import "bue" "host"
(func $evil (result i32) (i32.const 0))
