//! The contract on SQLite in a file, where lists are read beside the writer.

use crate::world::World;

async fn world() -> World {
    World::in_new_file()
}

crate::contract::all_contract_tests!(crate::sqlite::world);
