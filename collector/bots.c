/* SPDX-License-Identifier: Apache-2.0
 * bots: see the header. */
#include "collector/bots.h"

#define LETTER(c) (1u << ((c) - 'a'))

/* Words by first letter, in lower case, each ended by a NUL, and which second letters they have: nearly every
 * place in an agent is passed over by these two. Robots leave their address, browsers do not: http:// */
static const struct {
    uint32_t second_letters;
    const char *words;
} by_letter[26] = {
    ['a' - 'a'] = {LETTER('p') | LETTER('r'), "apache-httpclient\0archiver\0"},
    ['b' - 'a'] = {LETTER('o') | LETTER('y'), "bot\0bytespider\0"},
    ['c' - 'a'] = {LETTER('r') | LETTER('u'), "crawl\0curl/\0"},
    ['f' - 'a'] = {LETTER('a') | LETTER('e'), "facebookexternalhit\0fetcher\0"},
    ['g' - 'a'] = {LETTER('o'), "go-http-client\0google-read-aloud\0"},
    ['h' - 'a'] = {LETTER('e') | LETTER('t'), "headlesschrome\0http://\0https://\0httpclient\0"},
    ['j' - 'a'] = {LETTER('a'), "java/\0"},
    ['l' - 'a'] = {LETTER('i'), "libwww\0lighthouse\0"},
    ['m' - 'a'] = {LETTER('e') | LETTER('o'), "mediapartners\0monitor\0"},
    ['n' - 'a'] = {LETTER('o'), "node-fetch\0"},
    ['o' - 'a'] = {LETTER('k'), "okhttp\0"},
    ['p' - 'a'] = {LETTER('h') | LETTER('i') | LETTER('l') | LETTER('y'),
                   "phantomjs\0pingdom\0playwright\0python\0"},
    ['r' - 'a'] = {LETTER('u'), "ruby\0"},
    ['s' - 'a'] = {LETTER('c') | LETTER('l') | LETTER('p'), "scrap\0slurp\0spider\0"},
    ['v' - 'a'] = {LETTER('a'), "validator\0"},
    ['w' - 'a'] = {LETTER('e') | LETTER('g'), "web preview\0wget\0"},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Cubot makes telephones. */
static bool is_telephone(slice agent, size_t at)
{
    return at >= 2 && lower(agent.data[at - 1]) == 'u' && lower(agent.data[at - 2]) == 'c' &&
           lower(agent.data[at]) == 'b';
}

static bool stands_at(slice agent, size_t at, const char *word)
{
    size_t i = 0;
    while (word[i] != '\0' && at + i < agent.len && lower(agent.data[at + i]) == word[i])
        i++;
    return word[i] == '\0';
}

static bool any_stands_at(slice agent, size_t at, const char *word)
{
    while (*word != '\0') {
        if (stands_at(agent, at, word))
            return !is_telephone(agent, at);
        while (*word++ != '\0')
            ;
    }
    return false;
}

bool bots_is_named(slice agent)
{
    unsigned first = 26, second; /* 26 and more: no letter */
    for (size_t at = 0; at < agent.len; first = second, at++) {
        second = ((unsigned char)agent.data[at] | 0x20u) - 'a';
        if (first < 26 && second < 26 && (by_letter[first].second_letters & 1u << second) &&
            any_stands_at(agent, at - 1, by_letter[first].words))
            return true;
    }
    return false;
}
