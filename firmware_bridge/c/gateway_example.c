/* A module gateway's work, without its hardware; see gateway_example.h. */
#include "gateway_example.h"

/* Frames of the 100 ms cycle; those the seat does not have are passed over. */
static const ess_csc_message_t cell_messages[] = {ESS_CSC_CELLS01, ESS_CSC_CELLS04, ESS_CSC_CELLS07,
                                                  ESS_CSC_CELLS10, ESS_CSC_CELLS13, ESS_CSC_CELLS16};
#define CELL_MESSAGES (sizeof(cell_messages) / sizeof(cell_messages[0]))
#define CELLS_A_FRAME 3u

/* Right across the wrap of the count, as long as `since_ms` is less than 49 days back. */
static bool passed(uint32_t now_ms, uint32_t since_ms, uint32_t duration_ms)
{
    return (uint32_t)(now_ms - since_ms) >= duration_ms;
}

static void forget(gateway_measured_t *measured)
{
    uint32_t index;

    for (index = 0u; index < ESS_CSC_CELLS_MAX; index++) {
        measured->cell_mv[index] = ESS_CSC_CELL_VOLTAGE_NA;
    }
    for (index = 0u; index < 4u; index++) {
        measured->temperature_code[index] = ESS_CSC_TEMPERATURE_NA;
    }
    measured->board_temperature_code = ESS_CSC_BOARD_TEMPERATURE_NA;
}

static void switch_bleed(gateway_t *gateway, uint16_t cells, bool again)
{
    if (again || (cells != gateway->bleeding)) {
        gateway->bleeding = cells;
        gateway->bled |= cells;
        gateway->hal.bleed(gateway->hal.context, cells);
    }
}

bool gateway_init(gateway_t *gateway, const gateway_hal_t *hal, ess_csc_seat_t seat)
{
    gateway->seat = seat;
    gateway->hal = *hal;
    ess_csc_link_init(&gateway->link);
    forget(&gateway->measured);
    gateway->error = 0u;
    gateway->asked_ms = 0u;
    gateway->woken_ms = 0u;
    gateway->status_ms = 0u;
    gateway->values_ms = 0u;
    gateway->bleed_since_ms = 0u;
    gateway->bleed_for_ms = 0u;
    gateway->bleed_asked = 0u;
    gateway->bled = 0u;
    gateway->status_counter = 0u;
    gateway->values_counter = 0u;
    gateway->awake = false;
    gateway->unsent = 0u;
    switch_bleed(gateway, 0u, true); /* a watchdog reset may have left resistors on */
    return ess_csc_seat_valid(&seat);
}

static void wake(gateway_t *gateway, uint32_t now_ms)
{
    gateway->awake = true;
    gateway->woken_ms = now_ms;
    gateway->bleed_asked = 0u;
    /* both cycles are due at once */
    gateway->status_ms = now_ms - ESS_CSC_STATUS_CYCLE_MS;
    gateway->values_ms = now_ms - ESS_CSC_CELLS_CYCLE_MS;
}

static void take_mask(gateway_t *gateway, const ess_csc_frame_t *frame, uint32_t now_ms)
{
    ess_csc_bleed_mask_t mask;

    ess_csc_unpack_bleed_mask(frame, &mask);
    if (mask.bleed_time_s != ESS_CSC_BLEED_TIME_NA) {
        gateway->bleed_asked = (mask.bleed_time_s > 0u) ? mask.bleed_cells : 0u;
        gateway->bleed_since_ms = now_ms;
        gateway->bleed_for_ms = mask.bleed_time_s * 1000u;
    }
}

void gateway_hear(gateway_t *gateway, const ess_csc_frame_t *frame, uint32_t now_ms)
{
    ess_csc_message_t message;
    const ess_csc_result_t result = ess_csc_check(&gateway->seat, &gateway->link, frame, &message);

    if (result <= ESS_CSC_LOST) {
        if ((message == ESS_CSC_REQUEST) || (message == ESS_CSC_BLEED_MASK)) {
            if (!gateway->awake || passed(now_ms, gateway->asked_ms, ESS_CSC_AWAKE_MS + 1u)) {
                wake(gateway, now_ms);
            }
            gateway->asked_ms = now_ms;
            if (message == ESS_CSC_BLEED_MASK) {
                take_mask(gateway, frame, now_ms);
            }
        } else {
            gateway->error |= GATEWAY_ERROR_SLOT; /* a CAN controller does not receive what it sent itself */
        }
    }
}

static void measure(gateway_t *gateway)
{
    const uint8_t *board = &gateway->measured.board_temperature_code;

    if (gateway->hal.measure(gateway->hal.context, &gateway->measured)) {
        gateway->error &= ~GATEWAY_ERROR_FRONT_END;
    } else {
        gateway->error |= GATEWAY_ERROR_FRONT_END;
        forget(&gateway->measured);
    }
    if ((*board == ESS_CSC_BOARD_TEMPERATURE_NA) || (ess_csc_board_temperature_to_c(*board) > GATEWAY_BOARD_HOT_C)) {
        gateway->error |= GATEWAY_ERROR_HOT;
    } else if (ess_csc_board_temperature_to_c(*board) <= GATEWAY_BOARD_COOL_C) {
        gateway->error &= ~GATEWAY_ERROR_HOT;
    } else {
        /* between the two: as it was */
    }
}

/* Which of the cells asked for may be bled now: fitted, measured, not low, on a board that is not hot. */
static uint16_t bleedable(const gateway_t *gateway)
{
    uint16_t cells = 0u;
    uint32_t index;

    if ((gateway->error & GATEWAY_ERROR_HOT) == 0u) {
        for (index = 0u; index < gateway->seat.cells; index++) {
            const uint16_t cell_mv = gateway->measured.cell_mv[index];

            if ((cell_mv >= GATEWAY_BLEED_MIN_MV) && (cell_mv < ESS_CSC_CELL_VOLTAGE_NA)) {
                cells |= (uint16_t)(1u << index);
            }
        }
    }
    return (uint16_t)(cells & gateway->bleed_asked);
}

static void say(gateway_t *gateway, ess_csc_message_t message, uint8_t counter, bool booting, ess_csc_frame_t *frame)
{
    const bool known = booting ? ess_csc_seal_unavailable(&gateway->seat, message, frame)
                               : ess_csc_seal(&gateway->seat, message, counter, frame);

    if (known && !gateway->hal.send(gateway->hal.context, frame)) {
        gateway->unsent++;
    }
}

static void say_status(gateway_t *gateway, bool booting)
{
    const ess_csc_status_t status = {gateway->error, gateway->bleeding};
    ess_csc_frame_t frame;

    ess_csc_pack_status(&status, &frame);
    say(gateway, ESS_CSC_STATUS, gateway->status_counter, booting, &frame);
    gateway->status_counter = ess_csc_next_counter(gateway->status_counter);
}

/* Three cells from `first` on; places beyond the last cell say "not available". */
static void say_cells(gateway_t *gateway, ess_csc_message_t message, uint32_t first, bool booting)
{
    ess_csc_cells_t cells;
    ess_csc_frame_t frame;
    uint32_t place;

    for (place = 0u; place < CELLS_A_FRAME; place++) {
        const uint32_t cell = first + place;
        const bool fitted = cell < gateway->seat.cells;

        cells.cell_voltage_mv[place] = fitted ? gateway->measured.cell_mv[cell] : ESS_CSC_CELL_VOLTAGE_NA;
        cells.cell_invalid[place] = false;
        cells.cell_bleeding[place] = fitted && ((((uint32_t)gateway->bled >> cell) & 1u) != 0u);
    }
    ess_csc_pack_cells(&cells, &frame);
    say(gateway, message, gateway->values_counter, booting, &frame);
}

static void say_sum(gateway_t *gateway, bool booting)
{
    ess_csc_sum_t sum;
    ess_csc_frame_t frame;
    int32_t total_mv = 0;
    bool whole = true;
    uint32_t index;

    for (index = 0u; index < gateway->seat.cells; index++) {
        whole = whole && (gateway->measured.cell_mv[index] < ESS_CSC_CELL_VOLTAGE_NA);
        total_mv += (int32_t)gateway->measured.cell_mv[index];
    }
    sum.module_voltage_mv = whole ? ess_csc_module_voltage_from_mv(total_mv) : ESS_CSC_MODULE_VOLTAGE_NA;
    ess_csc_pack_sum(&sum, &frame);
    say(gateway, ESS_CSC_SUM, gateway->values_counter, booting, &frame);
}

static void say_temperatures(gateway_t *gateway, bool booting)
{
    ess_csc_temperatures_t temperatures;
    ess_csc_frame_t frame;
    uint32_t index;

    for (index = 0u; index < 4u; index++) {
        temperatures.temperature_code[index] = gateway->measured.temperature_code[index];
    }
    temperatures.board_temperature_code = gateway->measured.board_temperature_code;
    ess_csc_pack_temperatures(&temperatures, &frame);
    say(gateway, ESS_CSC_TEMPERATURES, gateway->values_counter, booting, &frame);
}

static void say_values(gateway_t *gateway, bool booting)
{
    uint32_t index;

    for (index = 0u; index < CELL_MESSAGES; index++) {
        say_cells(gateway, cell_messages[index], CELLS_A_FRAME * index, booting);
    }
    say_sum(gateway, booting);
    say_temperatures(gateway, booting);
    gateway->values_counter = ess_csc_next_counter(gateway->values_counter);
}

/* Whether a cycle has come round; then it is set on. Cycles that were missed are not made up for. */
static bool due(uint32_t now_ms, uint32_t *since_ms, uint32_t cycle_ms)
{
    const bool is_due = passed(now_ms, *since_ms, cycle_ms);

    if (is_due) {
        *since_ms = passed(now_ms, *since_ms, 2u * cycle_ms) ? now_ms : (*since_ms + cycle_ms);
    }
    return is_due;
}

void gateway_tick(gateway_t *gateway, uint32_t now_ms)
{
    if (gateway->awake && passed(now_ms, gateway->asked_ms, ESS_CSC_AWAKE_MS + 1u)) {
        gateway->awake = false; /* the master is silent: nothing is said and nothing is bled */
    }
    if (!gateway->awake || passed(now_ms, gateway->bleed_since_ms, gateway->bleed_for_ms)) {
        gateway->bleed_asked = 0u;
    }
    if (gateway->awake) {
        const bool booting = !passed(now_ms, gateway->woken_ms, ESS_CSC_BOOT_MS);
        const bool values_due = due(now_ms, &gateway->values_ms, ESS_CSC_CELLS_CYCLE_MS);

        if (values_due) {
            measure(gateway);
        }
        switch_bleed(gateway, bleedable(gateway), values_due);
        if (values_due) {
            say_values(gateway, booting);
            gateway->bled = gateway->bleeding;
        }
        if (due(now_ms, &gateway->status_ms, ESS_CSC_STATUS_CYCLE_MS)) {
            say_status(gateway, booting);
        }
    } else {
        switch_bleed(gateway, 0u, false);
    }
}
