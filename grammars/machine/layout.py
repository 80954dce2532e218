"""How the pushdown lies in memory: every record is a run of int32 in one heap, and its address is its name.

State (`STATE_SIZE` ints)          what reads the next byte
    FLAGS                          see the flags below
    EDGES, EDGE_AT                 number of (byte, move) pairs and where they lie
    ROW                            256 moves by byte, or 0
    ELSE                           the state asked where neither edge nor row answers, or 0
    LOW, HIGH, LABELS              a key state: the labels low .. high - 1 and a list [n, label…] it can still end in
    CACHE                          what `inner` found out about the state (see `grammars.machine.inner`), or 0
    LOOPS, LOOPS + 1               classes of bytes (`grammars.machine.trie`) on which the state stays itself
    LEAST_LEFT, MOST_LEFT          a counted state: fewest and most characters still to come (-1: no most)
    LEAST, MOST                    a counted state: fewest and most characters in all (-1: no most)

Frame                              what a value or rule returns to; lies on the stack while it is open
    RESUME                         the state after the return
    FRAME_FLAGS                    CONSUMED: gone once returned to. CLOSABLE: may close now. CAPTURING: how it goes on
                                   depends on the text just read, so kernels stop there and say so. One with jumps
                                   serves masks without that: where they lead, a capturing frame without comes next
    JUMPS                          address of one int for each label: UNKNOWN, DEAD, or a list [n, (frame, state)…]

Cell                               [frame, cell below]: a stack as a linked list; 0 ends it. Kernels name the cells they
                                   make themselves by negative numbers until somebody keeps them.

Cache                              of a lexeme's state: [slot, n, (move, byte, nodes at, number of nodes) x n]: the
                                   mask of the tokens that stay inside the lexeme or end it; by the move that ends it
                                   and the byte behind, the trie nodes that come next. Of a counted state:
                                   [K, rows x (K + 1) caches or 0], a row for what is still needed, a column for the
                                   room left, neither counted beyond K, which bounds what one token can read.

Move                               kind + 8 * operand; 0 is dead
    GOTO state                     read the byte, be in that state
    PUSH [state, n, frame…]        read the byte, put n frames on the stack (the last one on top), be in that state
    RETURN                         read the byte, return to the frame on top
    CLOSE                          read the byte; if the frame on top is closable, drop it and return to the next
    LABEL label                    read the byte, replace the frame on top as its jumps say
    MULTI [n, move…]               all of these at once
"""

from __future__ import annotations

__all__: list[str] = []

STATE_SIZE = 13
FLAGS, EDGES, EDGE_AT, ROW, ELSE, LOW, HIGH, LABELS, CACHE = range(9)
LEAST_LEFT, MOST_LEFT = 6, 5
"""A key state is not counted, so the two share their places."""
LEAST, MOST = 9, 10
LOOPS = 11

EXPANDED = 1
"""Edges and row are filled in."""
FINAL = 2
"""The lexeme may end here, and does where the next byte cannot continue it."""
FORK = 4
"""With FINAL: it may also end where the next byte could continue it."""
KEY = 8
"""Reached only if the frame on top has a live jump for one of the state's labels."""
COUNTED = 16
"""The thread's register counts characters, checked against the four counts."""
BOUNDARY = 32
"""Of a counted lexeme: a character ends on arrival here."""
LEXEME = 64
"""Within one lexeme: only its end depends on the stack, so what it allows before that can be kept."""
END = 128
"""The text is complete."""

FRAME_SIZE = 3
RESUME, FRAME_FLAGS, JUMPS = range(3)
CONSUMED = 1
CLOSABLE = 2
CAPTURING = 4

DEAD = 0
UNKNOWN = -1

GOTO, PUSH, RETURN, CLOSE, LABEL, MULTI = range(1, 7)
