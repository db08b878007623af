create table notes (id bigint primary key, attempt int not null);
create table notes_begun (id bigint not null, attempt int not null);
