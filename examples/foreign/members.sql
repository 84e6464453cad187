-- A database in memory: joins, windows, recursion, JSON, floating point, text functions.
create table member (id integer primary key, name text not null, weight real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into member select i, printf('member-%05d', (i * 7919) % 20011), i * 1.1 / 3 from n;
create index by_name on member(name);
select count(*), round(sum(weight), 6), min(name), max(name) from member;
select id % 7 as class, count(*), avg(weight), group_concat(id, ',') filter (where id < 50) from member group by class order by class;
select name, weight, rank() over (order by weight desc) from member order by name limit 10;
select a.id, b.id from member a join member b on a.name = b.name where a.id < 20 order by 1;
select json_extract('{"a": [1, 2.5, "x"]}', '$.a[1]'), upper('rings'), hex('ab'), 1 / 3.0, 9007199254740993;
with recursive f(a, b) as (select 0, 1 union all select b, a + b from f limit 60) select group_concat(a, ' ') from f;
update member set weight = null where id % 3 = 0;
delete from member where name like '%7';
select count(*), count(weight), total(weight) from member;
