//! The contract, `guest-sdk/wit/step.wit`, as `wit-bindgen` generates it.

wit_bindgen::generate!({ path: "../wit", world: "step", pub_export_macro: true });
