/* The gateway's main loop on a pipe, one beat at a time, for the tests.
 *
 *   in:   now_ms, ticks (each 10 ms later), answering, frames; then a gateway_measured_t as 21 words; then the frames
 *   out:  frames, bleeding; then the frames as struct can_frame
 *
 * Words of 32 bits. Slot and cells are on the command line; so is the number of frames that the hardware has room for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_example.h"

#define TICK_MS 10u
#define QUEUE 256u
#define FRAME_WORDS 4u

typedef struct {
    gateway_measured_t measured;
    bool answering;
    uint32_t bleeding;
    uint32_t room;
    uint32_t queued;
    uint32_t queue[QUEUE][FRAME_WORDS];
} world_t;

static bool measure(void *context, gateway_measured_t *measured)
{
    const world_t *world = context;

    *measured = world->measured;
    return world->answering;
}

static void bleed(void *context, uint16_t cells)
{
    world_t *world = context;

    world->bleeding = cells;
}

static bool send_frame(void *context, const ess_csc_frame_t *frame)
{
    world_t *world = context;
    const bool fits = world->queued < world->room;

    if (fits) {
        world->queue[world->queued][0] = frame->id;
        world->queue[world->queued][1] = frame->length;
        (void)memcpy(&world->queue[world->queued][2], frame->data, 8u);
        world->queued++;
    }
    return fits;
}

static void set_measured(gateway_measured_t *measured, const uint32_t *words)
{
    uint32_t index;

    for (index = 0u; index < ESS_CSC_CELLS_MAX; index++) {
        measured->cell_mv[index] = (uint16_t)words[index];
    }
    for (index = 0u; index < 4u; index++) {
        measured->temperature_code[index] = (uint8_t)words[ESS_CSC_CELLS_MAX + index];
    }
    measured->board_temperature_code = (uint8_t)words[ESS_CSC_CELLS_MAX + 4u];
}

int main(int count, char **words)
{
    static world_t world;
    static gateway_t gateway;
    const gateway_hal_t hal = {&world, measure, bleed, send_frame};
    ess_csc_seat_t seat = {0u, 0u};
    uint32_t beat[4u + ESS_CSC_CELLS_MAX + 5u];

    if (count != 4) {
        return EXIT_FAILURE;
    }
    seat.slot = (uint8_t)atoi(words[1]);
    seat.cells = (uint8_t)atoi(words[2]);
    world.room = (uint32_t)atoi(words[3]);
    world.bleeding = 0xFFFFu; /* as a reset may leave it */
    if ((world.room > QUEUE) || !gateway_init(&gateway, &hal, seat)) {
        return EXIT_FAILURE;
    }
    while (fread(beat, sizeof beat, 1u, stdin) == 1u) {
        uint32_t index;

        set_measured(&world.measured, &beat[4]);
        world.answering = beat[2] != 0u;
        world.queued = 0u;
        for (index = 0u; index < beat[3]; index++) {
            uint32_t raw[FRAME_WORDS];
            ess_csc_frame_t frame;

            if (fread(raw, sizeof raw, 1u, stdin) != 1u) {
                return EXIT_FAILURE;
            }
            frame.id = raw[0];
            frame.length = (uint8_t)(raw[1] & 0xFFu);
            (void)memcpy(frame.data, &raw[2], 8u);
            gateway_hear(&gateway, &frame, beat[0]);
        }
        for (index = 0u; index < beat[1]; index++) {
            gateway_tick(&gateway, beat[0] + TICK_MS * index);
        }
        (void)fwrite(&world.queued, sizeof world.queued, 1u, stdout);
        (void)fwrite(&world.bleeding, sizeof world.bleeding, 1u, stdout);
        (void)fwrite(world.queue, sizeof world.queue[0], world.queued, stdout);
        (void)fflush(stdout);
    }
    return EXIT_SUCCESS;
}
