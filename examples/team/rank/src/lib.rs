//! Ranks cities by their sales and compares them with the average.

use bue::serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(crate = "bue::serde")]
struct City {
    city: String,
    orders: u32,
    sales: f64,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "bue::serde")]
struct Ranked {
    rank: usize,
    city: String,
    sales: f64,
    against_average: f64,
}

#[bue::step]
fn rank(mut cities: Vec<City>) -> bue::Result<Vec<Ranked>> {
    if cities.is_empty() {
        return Err(bue::Error::msg("There are no cities to rank."));
    }
    let orders: u32 = cities.iter().map(|city| city.orders).sum();
    bue::log!("{orders} orders in {} cities", cities.len());
    let average = cities.iter().map(|city| city.sales).sum::<f64>() / cities.len() as f64;
    cities.sort_by(|one, other| other.sales.total_cmp(&one.sales));
    let ranked = cities.into_iter().enumerate().map(|(index, city)| Ranked {
        rank: index + 1,
        against_average: (city.sales - average).round(),
        city: city.city,
        sales: city.sales,
    });
    Ok(ranked.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_city_comes_first() {
        let city = |city: &str, sales| City { city: city.to_owned(), orders: 1, sales };
        let ranked = rank(vec![city("Lyon", 10.0), city("Ghent", 30.0)]).expect("two cities");
        assert_eq!(ranked[0], Ranked { rank: 1, city: "Ghent".into(), sales: 30.0, against_average: 10.0 });
    }
}
