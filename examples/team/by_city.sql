select city, count(*) as orders, round(sum(amount), 2) as sales
from orders
group by city
