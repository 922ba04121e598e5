/* SPDX-License-Identifier: Apache-2.0
 * bots: see the header. */
#include "collector/bots.h"

enum { MAX_WORDS = 4, LETTERS = 32 /* 26, and what else five bits make of other characters */ };

#define LETTER(c) (1u << ((c) - 'a'))

/* Words by first letter, in lower case, and which second letters they have: nearly every place in an agent is
 * passed over by these two. Robots leave their address, browsers do not: http:// */
static const struct {
    uint32_t second_letters;
    slice words[MAX_WORDS];
} by_letter[LETTERS] = {
    ['a' - 'a'] = {LETTER('p') | LETTER('r'), {SLICE("apache-httpclient"), SLICE("archiver")}},
    ['b' - 'a'] = {LETTER('o') | LETTER('y'), {SLICE("bot"), SLICE("bytespider")}},
    ['c' - 'a'] = {LETTER('r') | LETTER('u'), {SLICE("crawl"), SLICE("curl/")}},
    ['f' - 'a'] = {LETTER('a') | LETTER('e'), {SLICE("facebookexternalhit"), SLICE("fetcher")}},
    ['g' - 'a'] = {LETTER('o'), {SLICE("go-http-client"), SLICE("google-read-aloud")}},
    ['h' - 'a'] = {LETTER('e') | LETTER('t'),
                   {SLICE("headlesschrome"), SLICE("http://"), SLICE("https://"), SLICE("httpclient")}},
    ['j' - 'a'] = {LETTER('a'), {SLICE("java/")}},
    ['l' - 'a'] = {LETTER('i'), {SLICE("libwww"), SLICE("lighthouse")}},
    ['m' - 'a'] = {LETTER('e') | LETTER('o'), {SLICE("mediapartners"), SLICE("monitor")}},
    ['n' - 'a'] = {LETTER('o'), {SLICE("node-fetch")}},
    ['o' - 'a'] = {LETTER('k'), {SLICE("okhttp")}},
    ['p' - 'a'] = {LETTER('h') | LETTER('i') | LETTER('l') | LETTER('y'),
                   {SLICE("phantomjs"), SLICE("pingdom"), SLICE("playwright"), SLICE("python")}},
    ['r' - 'a'] = {LETTER('u'), {SLICE("ruby")}},
    ['s' - 'a'] = {LETTER('c') | LETTER('l') | LETTER('p'),
                   {SLICE("scrap"), SLICE("slurp"), SLICE("spider")}},
    ['v' - 'a'] = {LETTER('a'), {SLICE("validator")}},
    ['w' - 'a'] = {LETTER('e') | LETTER('g'), {SLICE("web preview"), SLICE("wget")}},
};

/* 0 … 25 for a letter of either case; other characters fall anywhere: words are compared in full. */
static unsigned letter_of(char c)
{
    return ((unsigned char)c - (unsigned)'a') % LETTERS;
}

/* Cubot makes telephones. */
static bool is_telephone(slice agent, size_t at, slice word)
{
    return slice_equals(word, SLICE("bot")) && at >= 2 &&
           slice_equals_nocase(slice_head(slice_from(agent, at - 2), 2), SLICE("cu"));
}

static bool stands_at(slice agent, size_t at, slice word)
{
    return agent.len - at >= word.len && (agent.data[at + 2] | 0x20) == word.data[2] &&
           slice_equals_nocase(slice_head(slice_from(agent, at), word.len), word) &&
           !is_telephone(agent, at, word);
}

static bool any_stands_at(slice agent, size_t at, unsigned letter)
{
    const slice *word = by_letter[letter].words;
    for (size_t i = 0; i < MAX_WORDS && word[i].len > 0; i++)
        if (stands_at(agent, at, word[i]))
            return true;
    return false;
}

bool bots_is_named(slice agent)
{
    unsigned first = LETTERS - 1; /* which begins no word */
    for (size_t at = 0; at < agent.len; at++) {
        unsigned second = letter_of(agent.data[at]);
        if (by_letter[first].second_letters >> second & 1 && any_stands_at(agent, at - 1, first))
            return true;
        first = second;
    }
    return false;
}
