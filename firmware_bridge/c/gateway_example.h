/* A module gateway's work, without its hardware: answer requests, say what was measured, bleed and stop bleeding.
 *
 * Start from this file for real firmware: fill in the three functions of gateway_hal_t, call gateway_hear for every
 * frame received and gateway_tick at least each 10 ms, both from one task. Time comes in as a free running count of
 * milliseconds and may wrap. Nothing here waits, allocates or keeps state outside gateway_t.
 */
#ifndef GATEWAY_EXAMPLE_H
#define GATEWAY_EXAMPLE_H

#include "ess_csc.h"

/* Below this a cell is not bled, whatever the master asks: balancing is work for the upper half of the charge. */
#define GATEWAY_BLEED_MIN_MV 3300u
/* Hotter than this nothing is bled, until the board is cool again. Set both by the board's own heat test. */
#define GATEWAY_BOARD_HOT_C 80
#define GATEWAY_BOARD_COOL_C 70

/* Error bits of the status frame. The car's own meanings are not public; these are the gateway's. */
#define GATEWAY_ERROR_FRONT_END 0x1u /* cells and temperatures could not be read */
#define GATEWAY_ERROR_HOT 0x2u       /* bleeding stopped: the board is too hot, or its temperature is not known */
#define GATEWAY_ERROR_SLOT 0x4u      /* another module on the bus has this slot; stays until reset */

/* What the measuring front end reads. "Not available" codes of ess_csc.h where a value is not known. */
typedef struct {
    uint16_t cell_mv[ESS_CSC_CELLS_MAX];
    uint8_t temperature_code[4];
    uint8_t board_temperature_code;
} gateway_measured_t;

typedef struct {
    void *context; /* handed to every function below */
    /* The newest complete reading, not older than 100 ms; false: the front end does not answer. Must not block. */
    bool (*measure)(void *context, gateway_measured_t *measured);
    /* Switch bleed resistors, bit 0 the first cell. Called at every change and again at every measurement, so that the
     * front end's own balancing timer can be armed with a few seconds and open them if this program stops. */
    void (*bleed)(void *context, uint16_t cells);
    /* Queue a frame; false: no room, the frame is dropped (the master counts it as lost). */
    bool (*send)(void *context, const ess_csc_frame_t *frame);
} gateway_hal_t;

typedef struct {
    ess_csc_seat_t seat;
    gateway_hal_t hal;
    ess_csc_link_t link;
    gateway_measured_t measured;
    uint32_t error;
    uint32_t asked_ms;  /* when the last request came */
    uint32_t woken_ms;  /* when the first one after a silence came */
    uint32_t status_ms; /* when the last frames of each cycle were due */
    uint32_t values_ms;
    uint32_t bleed_since_ms;
    uint32_t bleed_for_ms;
    uint16_t bleed_asked; /* 0 when it has expired */
    uint16_t bleeding;    /* as switched */
    uint16_t bled;        /* some time since the reading before: what a cell says of its own voltage */
    uint8_t status_counter;
    uint8_t values_counter;
    bool awake;
    uint32_t unsent; /* frames the hardware had no room for, for a debugger */
} gateway_t;

/* Asleep, nothing bleeding. False: no such seat, and the gateway must not be used. */
bool gateway_init(gateway_t *gateway, const gateway_hal_t *hal, ess_csc_seat_t seat);

/* One received frame, own or foreign, whole or broken. */
void gateway_hear(gateway_t *gateway, const ess_csc_frame_t *frame, uint32_t now_ms);

/* Do what is due: sleep, stop bleeding, measure, say. */
void gateway_tick(gateway_t *gateway, uint32_t now_ms);

#endif
