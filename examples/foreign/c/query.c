/* Runs the SQL on standard input in a database in memory, and prints each row. */
#include <stdio.h>
#include <stdlib.h>
#include "sqlite3.h"

static int print_row(void *unused, int columns, char **values, char **names) {
    (void)unused;
    (void)names;
    for (int i = 0; i < columns; i++)
        printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    putchar('\n');
    return 0;
}

static char *read_all(FILE *in) {
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);
    while (text) {
        length += fread(text + length, 1, room - length - 1, in);
        if (length + 1 < room) break;
        text = realloc(text, room *= 2);
    }
    if (text) text[length] = 0;
    return text;
}

int main(void) {
    char *sql = read_all(stdin), *error = NULL;
    sqlite3 *database;
    if (!sql || sqlite3_open(":memory:", &database) != SQLITE_OK) {
        fprintf(stderr, "query: no database\n");
        return 1;
    }
    if (sqlite3_exec(database, sql, print_row, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "query: %s\n", error);
        return 1;
    }
    sqlite3_close(database);
    free(sql);
    return 0;
}
