/* Puts the C codec on a pipe for the tests: records of 32-bit words in, records out, as many as come.
 *
 *   codec_peer pack    message slot cells counter value[9]     -> id length data[8], 16 bytes as struct can_frame
 *   codec_peer unpack  link slot cells crc_off frame[4]        -> result message lost value[9]
 *   codec_peer code    number                                  -> one code of each conversion, and back
 *   codec_peer speed   rounds                                  -> (time of it is the caller's to take)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ess_csc.h"

#define VALUES 9u
#define LINKS 64u

static bool large(const ess_csc_seat_t *seat)
{
    return seat->cells > ESS_CSC_SMALL_CELLS;
}

static void pack_request(const ess_csc_seat_t *seat, const uint32_t *v, ess_csc_frame_t *frame)
{
    if (large(seat)) {
        const ess_csc_request_phev_t request = {(uint16_t)v[0], v[1] != 0u,      v[2] != 0u,
                                                (uint8_t)v[3],  v[4] != 0u, v[5] != 0u};
        ess_csc_pack_request_phev(&request, frame);
    } else {
        const ess_csc_request_t request = {(uint16_t)v[0], v[1] != 0u, v[2] != 0u, v[3] != 0u, v[4] != 0u};
        ess_csc_pack_request(&request, frame);
    }
}

static void pack(ess_csc_message_t message, const ess_csc_seat_t *seat, const uint32_t *v, ess_csc_frame_t *frame)
{
    switch (message) {
    case ESS_CSC_REQUEST:
        pack_request(seat, v, frame);
        break;
    case ESS_CSC_BLEED_MASK: {
        const ess_csc_bleed_mask_t mask = {(uint16_t)v[0], (uint16_t)v[1]};
        ess_csc_pack_bleed_mask(&mask, frame);
        break;
    }
    case ESS_CSC_STATUS: {
        const ess_csc_status_t status = {v[0], (uint16_t)v[1]};
        ess_csc_pack_status(&status, frame);
        break;
    }
    case ESS_CSC_SUM: {
        const ess_csc_sum_t sum = {(uint16_t)v[0]};
        ess_csc_pack_sum(&sum, frame);
        break;
    }
    case ESS_CSC_TEMPERATURES: {
        const ess_csc_temperatures_t temperatures = {
            {(uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2], (uint8_t)v[3]}, (uint8_t)v[4]};
        ess_csc_pack_temperatures(&temperatures, frame);
        break;
    }
    default: {
        const ess_csc_cells_t cells = {{(uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2]},
                                       {v[3] != 0u, v[4] != 0u, v[5] != 0u},
                                       {v[6] != 0u, v[7] != 0u, v[8] != 0u}};
        ess_csc_pack_cells(&cells, frame);
        break;
    }
    }
}

static void unpack_request(const ess_csc_seat_t *seat, const ess_csc_frame_t *frame, uint32_t *v)
{
    if (large(seat)) {
        ess_csc_request_phev_t request;

        ess_csc_unpack_request_phev(frame, &request);
        v[0] = request.balance_target_mv;
        v[1] = request.init;
        v[2] = request.measure;
        v[3] = request.balance_mode;
        v[4] = request.balance;
        v[5] = request.third_init;
    } else {
        ess_csc_request_t request;

        ess_csc_unpack_request(frame, &request);
        v[0] = request.balance_target_mv;
        v[1] = request.ask_voltages;
        v[2] = request.ask_temperatures;
        v[3] = request.balance;
        v[4] = request.third_init;
    }
}

static void unpack_cells(const ess_csc_frame_t *frame, uint32_t *v)
{
    ess_csc_cells_t cells;
    uint8_t place;

    ess_csc_unpack_cells(frame, &cells);
    for (place = 0u; place < 3u; place++) {
        v[place] = ess_csc_cell_measured(&cells, place) ? cells.cell_voltage_mv[place] : ESS_CSC_CELL_VOLTAGE_NA;
        v[3u + place] = cells.cell_invalid[place];
        v[6u + place] = cells.cell_bleeding[place];
    }
}

static void unpack_temperatures(const ess_csc_frame_t *frame, uint32_t *v)
{
    ess_csc_temperatures_t temperatures;
    uint32_t index;

    ess_csc_unpack_temperatures(frame, &temperatures);
    for (index = 0u; index < 4u; index++) {
        v[index] = temperatures.temperature_code[index];
    }
    v[4] = temperatures.board_temperature_code;
}

static void unpack(ess_csc_message_t message, const ess_csc_seat_t *seat, const ess_csc_frame_t *frame, uint32_t *v)
{
    ess_csc_bleed_mask_t mask;
    ess_csc_status_t status;
    ess_csc_sum_t sum;

    switch (message) {
    case ESS_CSC_REQUEST:
        unpack_request(seat, frame, v);
        break;
    case ESS_CSC_BLEED_MASK:
        ess_csc_unpack_bleed_mask(frame, &mask);
        v[0] = mask.bleed_cells;
        v[1] = mask.bleed_time_s;
        break;
    case ESS_CSC_STATUS:
        ess_csc_unpack_status(frame, &status);
        v[0] = status.error;
        v[1] = status.balancing;
        break;
    case ESS_CSC_SUM:
        ess_csc_unpack_sum(frame, &sum);
        v[0] = sum.module_voltage_mv;
        break;
    case ESS_CSC_TEMPERATURES:
        unpack_temperatures(frame, v);
        break;
    case ESS_CSC_MESSAGES:
        break;
    default:
        unpack_cells(frame, v);
        break;
    }
}

static void run_pack(void)
{
    uint32_t words[4u + VALUES];

    while (fread(words, sizeof words, 1u, stdin) == 1u) {
        const ess_csc_seat_t seat = {(uint8_t)words[1], (uint8_t)words[2]};
        ess_csc_frame_t frame = {0u, 0u, {0u}};
        uint8_t raw[16] = {0u};

        pack((ess_csc_message_t)words[0], &seat, &words[4], &frame);
        if (ess_csc_seal(&seat, (ess_csc_message_t)words[0], (uint8_t)words[3], &frame)) {
            (void)memcpy(raw, &frame.id, 4u);
            raw[4] = frame.length;
            (void)memcpy(&raw[8], frame.data, 8u);
        }
        (void)fwrite(raw, sizeof raw, 1u, stdout);
    }
}

static void run_unpack(void)
{
    static ess_csc_link_t links[LINKS];
    uint32_t words[8];
    uint32_t index;

    for (index = 0u; index < LINKS; index++) {
        ess_csc_link_init(&links[index]);
    }
    while (fread(words, sizeof words, 1u, stdin) == 1u) {
        const ess_csc_seat_t seat = {(uint8_t)words[1], (uint8_t)words[2]};
        ess_csc_link_t *link = &links[words[0] % LINKS];
        ess_csc_frame_t frame = {words[4], (uint8_t)(words[5] & 0xFFu), {0u}};
        ess_csc_message_t message;
        uint32_t told[3u + VALUES] = {0u};

        (void)memcpy(frame.data, &words[6], 8u);
        link->crc_off = words[3] != 0u;
        told[0] = (uint32_t)ess_csc_check(&seat, link, &frame, &message);
        told[1] = (uint32_t)message;
        told[2] = link->lost;
        if (told[0] <= (uint32_t)ESS_CSC_LOST) {
            unpack(message, &seat, &frame, &told[3]);
        }
        (void)fwrite(told, sizeof told, 1u, stdout);
    }
}

static void run_code(void)
{
    int32_t number;

    while (fread(&number, sizeof number, 1u, stdin) == 1u) {
        const uint8_t board = ess_csc_board_temperature_from_c(number);
        const int32_t told[] = {ess_csc_cell_voltage_from_mv(number), ess_csc_module_voltage_from_mv(number),
                                ess_csc_bleed_time_from_s(number),    ess_csc_temperature_from_c(number),
                                board,                                ess_csc_board_temperature_to_c(board)};
        (void)fwrite(told, sizeof told, 1u, stdout);
    }
}

/* Packs, seals, checks and unpacks a module's cell frames in memory; tells a sum that nothing can be left out of. */
static void run_speed(void)
{
    uint32_t rounds = 0u;
    uint32_t told[2] = {0u, 0u};
    const ess_csc_seat_t seat = {5u, 12u};
    ess_csc_link_t link;
    uint32_t index;

    ess_csc_link_init(&link);
    (void)fread(&rounds, sizeof rounds, 1u, stdin);
    for (index = 0u; index < rounds; index++) {
        const uint16_t cell_mv = (uint16_t)(3000u + index % 1000u);
        const ess_csc_cells_t cells = {{cell_mv, cell_mv, cell_mv}, {false, false, false}, {false, false, false}};
        ess_csc_cells_t back;
        ess_csc_frame_t frame;
        ess_csc_message_t message;

        ess_csc_pack_cells(&cells, &frame);
        (void)ess_csc_seal(&seat, ESS_CSC_CELLS07, (uint8_t)(index % 15u), &frame);
        if (ess_csc_check(&seat, &link, &frame, &message) == ESS_CSC_OK) {
            ess_csc_unpack_cells(&frame, &back);
            told[0]++;
            told[1] += back.cell_voltage_mv[2];
        }
    }
    (void)fwrite(told, sizeof told, 1u, stdout);
}

int main(int count, char **words)
{
    const char *what = (count == 2) ? words[1] : "";

    if (strcmp(what, "pack") == 0) {
        run_pack();
    } else if (strcmp(what, "unpack") == 0) {
        run_unpack();
    } else if (strcmp(what, "code") == 0) {
        run_code();
    } else if (strcmp(what, "speed") == 0) {
        run_speed();
    } else {
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
