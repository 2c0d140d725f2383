# A peer in Perl, with ZMQ::FFI; see peer_pyzmq.py.
use strict;
use warnings;
use IO::Select;
use ZMQ::FFI qw(:all);

$| = 1;
my %kinds = (
    req => ZMQ_REQ, rep => ZMQ_REP, pub => ZMQ_PUB,
    sub => ZMQ_SUB, push => ZMQ_PUSH, pull => ZMQ_PULL,
);
my $cycle = join "", map { chr } 0 .. 255;

sub body {
    my ($size) = @_;
    return substr $cycle x (int($size / 256) + 2), $size % 256, $size;
}

sub show {
    my @sizes = map { $_ eq body(length) ? length : "wrong" } @_;
    print "got ", join(",", @sizes), "\n";
}

my ($role, $how, $endpoint, @messages) = @ARGV;
my $context = ZMQ::FFI->new;
if ($role eq "version") {
    print "ZMQ::FFI $ZMQ::FFI::VERSION, libzmq ", join(".", $context->version), "\n";
    exit;
}

my $socket = $context->socket($kinds{$role});
$socket->set($_, "int", 20000) for ZMQ_RCVTIMEO, ZMQ_SNDTIMEO, ZMQ_LINGER;
$socket->set(ZMQ_IPV6, "int", 1) if $endpoint =~ /\[/;
$socket->set(ZMQ_RATE, "int", 100000) if $endpoint =~ /^epgm/;
if (my $server = $ENV{CURVE_SERVER_KEY}) {
    $socket->set(ZMQ_CURVE_SERVERKEY, "binary", $server);
    $socket->set(ZMQ_CURVE_PUBLICKEY, "binary", $ENV{CURVE_PUBLIC_KEY});
    $socket->set(ZMQ_CURVE_SECRETKEY, "binary", $ENV{CURVE_SECRET_KEY});
} elsif (my $secret = $ENV{CURVE_SECRET_KEY}) {
    $socket->set(ZMQ_CURVE_SERVER, "int", 1);
    $socket->set(ZMQ_CURVE_SECRETKEY, "binary", $secret);
}
$socket->subscribe("") if $role eq "sub";
if ($how eq "bind") {
    $socket->bind($endpoint);
    my $where = $socket->get(ZMQ_LAST_ENDPOINT, "string");
    print "bound $where\n";
} else {
    $socket->connect($endpoint);
}

if ($role eq "pub") {    # until somebody has heard of it
    my $stdin = IO::Select->new(\*STDIN);
    $socket->send("sync") until $stdin->can_read(0.005);
}
my $ready = 0;
for my $message (@messages) {
    $socket->send_multipart([map { body($_) } split /,/, $message])
        if $role =~ /^(req|pub|push)$/;
    if ($role =~ /^(req|rep|sub|pull)$/) {
        my @parts = $socket->recv_multipart;
        while (@parts == 1 && $parts[0] eq "sync") {
            print "ready\n" unless $ready++;
            @parts = $socket->recv_multipart;
        }
        show(@parts);
        $socket->send_multipart(\@parts) if $role eq "rep";
    }
}
$socket->close;
$context->destroy;
print "done\n";
