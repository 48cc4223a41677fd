//! What `wit-bindgen` makes of the contract.

wit_bindgen::generate!({ path: "../wit", world: "step", pub_export_macro: true });
