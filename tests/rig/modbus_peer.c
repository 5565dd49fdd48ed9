/* A Modbus master or server by others (libmodbus), for the rig tests: reads and writes what it is told on our server,
 * or is a device that our master reads.
 *
 *   modbus_peer master tcp PORT UNIT OP...     OP: rc|rd|rh|ri:ADDRESS:COUNT   read coils, inputs, holding, input registers
 *   modbus_peer master rtu PATH UNIT OP...         wc|wh:ADDRESS:VALUE         write one coil, one register
 *                                                  wcs|whs:ADDRESS:V,V,...     write several
 *   modbus_peer server tcp 0 UNIT              says the port it found, then serves until it is killed
 *   modbus_peer server rtu PATH UNIT
 *
 * Each OP prints one line: the values read, "done", or libmodbus's words for what went wrong.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 2000 };

static modbus_t *context_of(const char *kind, const char *place, int unit)
{
    modbus_t *context = strcmp(kind, "tcp") == 0 ? modbus_new_tcp("127.0.0.1", atoi(place))
                                                 : modbus_new_rtu(place, 19200, 'E', 8, 1);
    if (context == NULL || modbus_set_slave(context, unit) != 0) {
        fprintf(stderr, "%s %s: %s\n", kind, place, modbus_strerror(errno));
        exit(2);
    }
    modbus_set_response_timeout(context, 5, 0);
    return context;
}

/* "1,2,3" into numbers; how many */
static int values_of(char *text, uint8_t *bits, uint16_t *words)
{
    int count = 0;
    for (char *each = strtok(text, ","); each != NULL && count < MOST; each = strtok(NULL, ","), count++) {
        bits[count] = (uint8_t)atoi(each);
        words[count] = (uint16_t)atoi(each);
    }
    return count;
}

static void carry_out(modbus_t *context, char *op)
{
    uint8_t bits[MOST] = {0};
    uint16_t words[MOST] = {0};
    char *rest = strchr(op, ':') + 1;
    const int address = atoi(rest);
    char *value = strchr(rest, ':') + 1;
    int done = -1;

    if (op[0] == 'r') {
        const int count = atoi(value);
        const int by_bits = op[1] == 'c' || op[1] == 'd';
        done = op[1] == 'c'   ? modbus_read_bits(context, address, count, bits)
               : op[1] == 'd' ? modbus_read_input_bits(context, address, count, bits)
               : op[1] == 'h' ? modbus_read_registers(context, address, count, words)
                              : modbus_read_input_registers(context, address, count, words);
        for (int place = 0; done >= 0 && place < count; place++)
            printf("%s%u", place ? " " : "", by_bits ? bits[place] : words[place]);
    } else if (op[2] == 's') {
        const int count = values_of(value, bits, words);
        done = op[1] == 'c' ? modbus_write_bits(context, address, count, bits)
                            : modbus_write_registers(context, address, count, words);
    } else {
        done = op[1] == 'c' ? modbus_write_bit(context, address, atoi(value))
                            : modbus_write_register(context, address, (uint16_t)atoi(value));
    }
    puts(done < 0 ? modbus_strerror(errno) : op[0] == 'w' ? "done" : "");
}

static int be_master(modbus_t *context, int count, char **ops)
{
    if (modbus_connect(context) != 0) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    for (int place = 0; place < count; place++)
        carry_out(context, ops[place]);
    modbus_close(context);
    return 0;
}

/* Holding register n holds n, input register n holds 1000 + n, every third discrete input is on. */
static int be_server(modbus_t *context, int tcp)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_mapping_t *map = modbus_mapping_new(MOST, MOST, 1000, 1000);
    int listener = -1;

    for (int place = 0; place < 1000; place++) {
        map->tab_registers[place] = (uint16_t)place;
        map->tab_input_registers[place] = (uint16_t)(1000 + place);
    }
    for (int place = 0; place < MOST; place++)
        map->tab_input_bits[place] = place % 3 == 0;
    if (tcp) {
        struct sockaddr_in bound;
        socklen_t size = sizeof bound;
        listener = modbus_tcp_listen(context, 1);
        if (listener < 0 || getsockname(listener, (struct sockaddr *)&bound, &size) != 0)
            return 1;
        printf("%d\n", ntohs(bound.sin_port));
    } else {
        if (modbus_connect(context) != 0)
            return 1;
        puts("ready");
    }
    fflush(stdout);
    for (;;) {
        if (tcp && modbus_tcp_accept(context, &listener) < 0)
            return 1;
        for (;;) {
            const int length = modbus_receive(context, query);
            if (length > 0)
                modbus_reply(context, query, length, map);
            else if (length < 0 && tcp)
                break;
        }
    }
}

int main(int count, char **words)
{
    if (count < 5)
        return 2;
    const int tcp = strcmp(words[2], "tcp") == 0;
    modbus_t *context = context_of(words[2], words[3], atoi(words[4]));
    return strcmp(words[1], "master") == 0 ? be_master(context, count - 5, words + 5) : be_server(context, tcp);
}
