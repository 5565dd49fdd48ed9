/* Plays one module on a Linux CAN interface, with made-up cells: to commission a bus before the boards are there.
 *
 *   gcc -std=c99 -O2 -o gateway_linux gateway_linux.c gateway_example.c ess_csc.c
 *   ./gateway_linux can0 0 10        interface, slot 0..15, cells 8..16
 *
 * Cells read 3700 mV, 3705 mV and so on, 20 mV less while they bleed; 25 degrees Celsius, the board 31. Every change of
 * the bleed resistors is told. Ends on SIGINT and SIGTERM, or when the interface goes away.
 */
#define _DEFAULT_SOURCE

#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway_example.h"

#define TICK_MS 10

typedef struct {
    int bus;
    uint16_t bleeding;
} world_t;

static volatile sig_atomic_t ended;

static void end(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static uint32_t now_ms(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)(((uint64_t)now.tv_sec * 1000u) + ((uint64_t)now.tv_nsec / 1000000u));
}

static bool measure(void *context, gateway_measured_t *measured)
{
    const world_t *world = context;
    uint32_t index;

    for (index = 0u; index < ESS_CSC_CELLS_MAX; index++) {
        const uint32_t sag_mv = 20u * ((uint32_t)(world->bleeding >> index) & 1u);

        measured->cell_mv[index] = (uint16_t)(3700u + (5u * index) - sag_mv);
    }
    for (index = 0u; index < 4u; index++) {
        measured->temperature_code[index] = ess_csc_temperature_from_c(25);
    }
    measured->board_temperature_code = ess_csc_board_temperature_from_c(31);
    return true;
}

static void bleed(void *context, uint16_t cells)
{
    world_t *world = context;

    if (world->bleeding != cells) {
        world->bleeding = cells;
        (void)printf("bleeding 0x%04X\n", (unsigned)cells);
        (void)fflush(stdout);
    }
}

static bool send_frame(void *context, const ess_csc_frame_t *frame)
{
    const world_t *world = context;
    struct can_frame raw;

    (void)memset(&raw, 0, sizeof raw);
    raw.can_id = frame->id;
    raw.can_dlc = frame->length;
    (void)memcpy(raw.data, frame->data, sizeof raw.data);
    return write(world->bus, &raw, sizeof raw) == (ssize_t)sizeof raw;
}

/* The interface as a socket that never blocks, or -1 with errno set. */
static int opened(const char *name)
{
    const int bus = socket(PF_CAN, SOCK_RAW | SOCK_NONBLOCK, CAN_RAW);
    struct sockaddr_can address;
    struct ifreq request;

    (void)memset(&address, 0, sizeof address);
    (void)memset(&request, 0, sizeof request);
    (void)strncpy(request.ifr_name, name, sizeof request.ifr_name - 1u);
    if ((bus < 0) || (ioctl(bus, SIOCGIFINDEX, &request) < 0)) {
        return -1;
    }
    address.can_family = AF_CAN;
    address.can_ifindex = request.ifr_ifindex;
    return (bind(bus, (struct sockaddr *)&address, sizeof address) < 0) ? -1 : bus;
}

/* Everything that waits in the socket; false: the interface is gone. */
static bool heard(gateway_t *gateway, int bus)
{
    struct can_frame raw;
    ess_csc_frame_t frame;
    ssize_t got = read(bus, &raw, sizeof raw);

    while (got == (ssize_t)sizeof raw) {
        frame.id = raw.can_id;
        frame.length = raw.can_dlc;
        (void)memcpy(frame.data, raw.data, sizeof frame.data);
        gateway_hear(gateway, &frame, now_ms());
        got = read(bus, &raw, sizeof raw);
    }
    return (got < 0) && ((errno == EAGAIN) || (errno == EINTR));
}

/* A whole number 0..254; 255, which is neither slot nor number of cells, for anything else. */
static uint8_t number(const char *word)
{
    char *behind = NULL;
    const long value = strtol(word, &behind, 10);
    const bool good = (behind != word) && (*behind == '\0') && (value >= 0) && (value < 255);

    return (uint8_t)(good ? value : 255);
}

int main(int count, char **words)
{
    world_t world = {-1, 0u};
    const gateway_hal_t hal = {&world, measure, bleed, send_frame};
    ess_csc_seat_t seat = {0u, 0u};
    static gateway_t gateway;

    if (count == 4) {
        seat.slot = number(words[2]);
        seat.cells = number(words[3]);
    }
    if (!ess_csc_seat_valid(&seat)) {
        (void)fprintf(stderr, "usage: %s INTERFACE SLOT CELLS   (slot 0..15, cells 8..16)\n", words[0]);
        return 2;
    }
    world.bus = opened(words[1]);
    if (world.bus < 0) {
        (void)fprintf(stderr, "%s: %s: %s\n", words[0], words[1], strerror(errno));
        return 1;
    }
    (void)signal(SIGINT, end);
    (void)signal(SIGTERM, end);
    (void)gateway_init(&gateway, &hal, seat);
    while (ended == 0) {
        struct pollfd waiting = {world.bus, POLLIN, 0};

        (void)poll(&waiting, 1u, TICK_MS);
        if (!heard(&gateway, world.bus)) {
            (void)fprintf(stderr, "%s: %s: %s\n", words[0], words[1], strerror(errno));
            return 1;
        }
        gateway_tick(&gateway, now_ms());
    }
    return 0;
}
